"""systemctl: the units of a machine, what starts and stops them, and the machine's own power.

Source: systemd 257, systemctl(1): forms of output and exit statuses (3 for a unit that is not active, 4 for one that
there is not, 5 for one that cannot be acted upon). Not modelled: targets, sockets, timers, and units that no cluster
needs; masking.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from seatrial.sim.nodeshell import ages
from seatrial.sim.nodeshell.machine import Machine, machine_of
from seatrial.sim.nodeshell.power import power_off, reboot
from seatrial.sim.nodeshell.units import ACTIVE, FAILED, INACTIVE, WAITING, Unit, exit_name
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
NOT_ACTIVE, NO_UNIT, NOT_LOADED = 3, 4, 5
SHOWN_LINES: Final = 10
WANTS: Final = "/etc/systemd/system/multi-user.target.wants"
SUBSTATE: Final = {ACTIVE: "running", INACTIVE: "dead", WAITING: "auto-restart", FAILED: "failed"}
STOP_US: Final = 80_000
"""How long it takes until a service has stopped."""


def systemctl(proc: Proc) -> Steps | int:
    """systemctl [OPTIONS] COMMAND [UNIT...]"""
    machine = machine_of(proc)
    machine.look()
    words = [word for word in proc.argv[1:] if not word.startswith("-")]
    options = [word for word in proc.argv[1:] if word.startswith("-")]
    lines = SHOWN_LINES
    for at, word in enumerate(proc.argv):
        if word == "-n" and at + 1 < len(proc.argv) and proc.argv[at + 1].isdigit():
            lines = int(proc.argv[at + 1])
            words.remove(proc.argv[at + 1])
    verb, names = (words[0], words[1:]) if words else ("list-units", [])
    if verb in ("list-units", "list-unit-files"):
        return _list(proc, machine, verb, names)
    if verb == "daemon-reload":
        machine.userland.reload_units()
        return 0
    if verb in ("reboot", "poweroff", "halt"):
        return reboot(proc, machine) if verb == "reboot" else power_off(proc, machine)
    if verb == "status":
        return _status(proc, machine, names, lines, "-l" in options or "--full" in options)
    action = VERBS.get(verb)
    if action is None:
        proc.err(f"Unknown command verb '{verb}'.\n")
        return 1
    if not names:
        proc.err("Too few arguments.\n")
        return 1
    if action in (_is_active, _is_enabled, _is_failed):
        return _ask(proc, machine, names, action)
    return _act(proc, machine, verb, names, action, "--now" in options)


def _ask(proc: Proc, machine: Machine, names: list[str], question: Callable[[Unit], tuple[str, int]]) -> int:
    status = 0
    for name in names:
        unit = machine.systemd.find(name)
        if unit is None:
            said = "not-found" if question is _is_enabled else "inactive"
            code = NO_UNIT if question is not _is_failed else 1
        else:
            said, code = question(unit)
        proc.out(said + "\n")
        status = status or code
    return status


def _is_active(unit: Unit) -> tuple[str, int]:
    return unit.state, 0 if unit.state == ACTIVE else NOT_ACTIVE


def _is_failed(unit: Unit) -> tuple[str, int]:
    return unit.state, 0 if unit.state == FAILED else 1


def _is_enabled(unit: Unit) -> tuple[str, int]:
    return ("enabled", 0) if unit.enabled else ("disabled", 1)


def _act(
    proc: Proc, machine: Machine, verb: str, names: list[str], action: Callable[[Proc, Machine, Unit], None], now: bool
) -> Steps:
    status = 0
    for name in names:
        unit = machine.systemd.find(name)
        if unit is None:
            service = name if "." in name else f"{name}.service"
            if verb in ("enable", "disable"):
                proc.err(f"Failed to {verb} unit: Unit {service} does not exist\n")
                status = 1
            else:
                proc.err(f"Failed to {verb} {service}: Unit {service} {_why(verb)}.\n")
                status = NOT_LOADED
            continue
        if machine.systemd.reload_needed and verb in ("start", "restart"):
            proc.err(
                f"Warning: The unit file, source configuration file or drop-ins of {unit.service} changed on disk. "
                "Run 'systemctl daemon-reload' to reload units.\n"
            )
        action(proc, machine, unit)
        if now:
            (_start if verb == "enable" else _stop)(proc, machine, unit)
        yield proc.clock.sleep(STOP_US)
    return status


def _why(verb: str) -> str:
    return "not loaded" if verb == "stop" else "not found"


def _start(proc: Proc, machine: Machine, unit: Unit) -> None:
    if unit.state != ACTIVE:
        machine.start(unit)


def _stop(proc: Proc, machine: Machine, unit: Unit) -> None:
    if unit.state != INACTIVE:
        machine.stop(unit)


def _restart(proc: Proc, machine: Machine, unit: Unit) -> None:
    machine.restart(unit)


def _try_restart(proc: Proc, machine: Machine, unit: Unit) -> None:
    if unit.state == ACTIVE:
        machine.restart(unit)


def _enable(proc: Proc, machine: Machine, unit: Unit) -> None:
    if not unit.enabled:
        path = f"{WANTS}/{unit.service}"
        proc.err(f"Created symlink '{path}' → '{unit.directory}/{unit.service}'.\n")
        proc.fs.make_dir(WANTS, parents=True)
        proc.fs.put(path, machine.userland.link_to(f"{unit.directory}/{unit.service}"))
        machine.enable(unit, True)


def _disable(proc: Proc, machine: Machine, unit: Unit) -> None:
    if unit.enabled:
        proc.err(f"Removed '{WANTS}/{unit.service}'.\n")
        if proc.fs.exists(f"{WANTS}/{unit.service}", follow=False):
            proc.fs.remove(f"{WANTS}/{unit.service}")
        machine.enable(unit, False)


def _nothing(proc: Proc, machine: Machine, unit: Unit) -> None: ...


VERBS: Final[dict[str, Callable[..., Any]]] = {
    "start": _start, "stop": _stop, "restart": _restart, "reload": _nothing, "try-restart": _try_restart,
    "reload-or-restart": _restart, "enable": _enable, "disable": _disable, "is-active": _is_active,
    "is-enabled": _is_enabled, "is-failed": _is_failed, "reset-failed": _nothing,
}  # fmt: skip


def _list(proc: Proc, machine: Machine, verb: str, patterns: list[str]) -> int:
    units = [unit for unit in machine.systemd.units.values() if not patterns or _matches(unit, patterns)]
    if verb == "list-unit-files":
        width = max([len("UNIT FILE"), *(len(unit.service) for unit in units)])
        proc.out(f"{'UNIT FILE':<{width}} STATE    PRESET\n")
        for unit in units:
            proc.out(f"{unit.service:<{width}} {'enabled' if unit.enabled else 'disabled':<8} enabled\n")
        proc.out(f"\n{len(units)} unit files listed.\n")
        return 0
    width = max([len("UNIT"), *(len(unit.service) for unit in units)])
    proc.out(f"  {'UNIT':<{width}} LOAD   ACTIVE     SUB          DESCRIPTION\n")
    shown = [unit for unit in units if unit.state != INACTIVE]
    for unit in shown:
        mark = "●" if unit.state != ACTIVE else " "
        row = f"{unit.service:<{width}} loaded {unit.state:<10} {SUBSTATE[unit.state]:<12} {unit.description}"
        proc.out(f"{mark} {row}\n")
    proc.out(
        "\nLegend: LOAD   → Reflects whether the unit definition was properly loaded.\n"
        "        ACTIVE → The high-level unit activation state, i.e. generalization of SUB.\n"
        "        SUB    → The low-level unit activation state, values depend on unit type.\n\n"
        f"{len(shown)} loaded units listed. Pass --all to see loaded but inactive units, too.\n"
    )
    return 0


def _matches(unit: Unit, patterns: list[str]) -> bool:
    from fnmatch import fnmatchcase

    return any(fnmatchcase(unit.service, pattern) or fnmatchcase(unit.name, pattern) for pattern in patterns)


def _status(proc: Proc, machine: Machine, names: list[str], lines: int, full: bool) -> int:
    status = 0
    for number, name in enumerate(names or list(machine.systemd.units)):
        unit = machine.systemd.find(name)
        if unit is None:
            service = name if "." in name else f"{name}.service"
            proc.err(f"Unit {service} could not be found.\n")
            status = NO_UNIT
            continue
        if number:
            proc.out("\n")
        proc.out("".join(f"{line}\n" for line in _described(machine, unit)))
        logged = list(machine.log.of(unit.name))[-lines:] if lines else []
        if logged:
            proc.out("\n" + "".join(f"{line.shown(machine.name)}\n" for line in logged))
        if machine.systemd.reload_needed:
            proc.err(
                f"Warning: The unit file, source configuration file or drop-ins of {unit.service} changed on disk. "
                "Run 'systemctl daemon-reload' to reload units.\n"
            )
        status = status or (0 if unit.state == ACTIVE else NOT_ACTIVE)
    return status


def _described(machine: Machine, unit: Unit) -> list[str]:
    """The head of ``systemctl status``."""
    now = machine.clock.now
    mark = {ACTIVE: "●", INACTIVE: "○", WAITING: "●", FAILED: "×"}[unit.state]
    enabled = "enabled" if unit.enabled else "disabled"
    made = [
        f"{mark} {unit.title}",
        f"     Loaded: loaded ({unit.directory}/{unit.service}; {enabled}; preset: enabled)",
    ]
    if unit.drop_in:
        made += [f"    Drop-In: {unit.directory}/{unit.service}.d", f"             └─{unit.drop_in}"]
    since = f"since {ages.systemd_stamp(unit.since_us)}; {ages.systemd_age(now - unit.since_us)}"
    result = "" if unit.result == "success" or unit.state == ACTIVE else f" (Result: {unit.result})"
    made.append(f"     Active: {unit.state} ({SUBSTATE[unit.state]}){result} {since}")
    made.append(f"       Docs: {unit.documentation}")
    program = unit.command.partition(" ")[0].rpartition("/")[2]
    if unit.state == ACTIVE:
        made += [
            f"   Main PID: {unit.pid} ({program})",
            "      Tasks: 11 (limit: 4588)",
            f"     Memory: {ages.bytes_binary(unit.memory)} (peak: {ages.bytes_binary(unit.memory * 11 // 10)})",
            f"        CPU: {_cpu(now - unit.since_us)}",
            f"     CGroup: /system.slice/{unit.service}",
            f"             └─{unit.pid} {unit.command}",
        ]
    elif unit.pid:
        how = f"code=killed, signal={unit.signal}" if unit.signal else f"code=exited, status={exit_name(unit.status)}"
        made += [f"    Process: {unit.pid} ExecStart={unit.command} ({how})", f"   Main PID: {unit.pid} ({how})"]
    return made


def _cpu(us: int) -> str:
    """What a daemon has used of the processor since it began: two hundredths of the time."""
    milliseconds = us // 1000 // 50
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    seconds = milliseconds / 1000
    return f"{seconds:.3f}s" if seconds < 60 else f"{int(seconds // 60)}min {seconds % 60:.3f}s"


COMMANDS = {"systemctl": systemctl}
