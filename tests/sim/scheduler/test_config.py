"""KubeSchedulerConfiguration files: what they mean, and what is wrong with wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from seatrial.sim.scheduler.cache import Cache, NodeInfo
from seatrial.sim.scheduler.config import ConfigError, enabled_plugins, frameworks, read_config
from seatrial.sim.scheduler.framework import PerNode
from seatrial.sim.scheduler.podinfo import Traits

HEAD = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}
DEFAULT_SCORES = [
    ("TaintToleration", 3), ("NodeAffinity", 2), ("NodeResourcesFit", 1), ("VolumeBinding", 1),
    ("PodTopologySpread", 2), ("InterPodAffinity", 2), ("DynamicResources", 1), ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
]  # fmt: skip


def written(**fields: Any) -> str:
    return yaml.safe_dump({**HEAD, **fields})


def scores(profile: dict[str, Any], **fields: Any) -> list[tuple[str, int]]:
    """What the profile's pods are scored by."""
    config = read_config(written(profiles=[profile], **fields))
    (framework,) = frameworks(config, Cache()).values()
    return [(plugin.name, weight) for plugin, weight in framework.profile.scores]


def test_an_empty_file_is_the_default_scheduler() -> None:
    config = read_config(written())
    (framework,) = frameworks(config, Cache()).values()
    assert framework.profile.name == "default-scheduler"
    assert [(plugin.name, weight) for plugin, weight in framework.profile.scores] == DEFAULT_SCORES


def test_plugins_are_turned_off_and_weighed() -> None:
    score = {
        "disabled": [{"name": "ImageLocality"}],
        "enabled": [{"name": "NodeAffinity", "weight": 7}],
    }
    found = scores({"plugins": {"score": score}})
    assert ("ImageLocality", 1) not in found
    assert found[0] == ("NodeAffinity", 7)


def test_a_star_turns_everything_off() -> None:
    only = {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit", "weight": 5}]}
    assert scores({"plugins": {"score": only}}) == [("NodeResourcesFit", 5)]


def test_multi_point_reaches_every_extension_point() -> None:
    points = enabled_plugins({"multiPoint": {"disabled": [{"name": "InterPodAffinity"}]}})
    assert all("InterPodAffinity" not in dict(plugins) for plugins in points.values())
    assert "PodTopologySpread" in dict(points["filter"])


def test_the_whole_file_counts() -> None:
    config = read_config(
        written(
            percentageOfNodesToScore=40,
            podInitialBackoffSeconds=2,
            podMaxBackoffSeconds=30,
            clientConnection={"qps": 500, "burst": 1000},
            profiles=[{"schedulerName": "a"}, {"schedulerName": "b", "percentageOfNodesToScore": 70}],
        )
    )
    assert (config.initial_backoff_us, config.max_backoff_us) == (2_000_000, 30_000_000)
    assert (config.qps, config.burst) == (500, 1000)
    made = frameworks(config, Cache())
    assert {name: made[name].profile.percentage_of_nodes_to_score for name in made} == {"a": 40, "b": 70}


class OddNodes(PerNode):
    """Likes nodes whose name ends in an odd digit."""

    name = "OddNodes"

    def filter_node(self, pod: Traits, node: NodeInfo) -> str | None:
        return None if int(node.name[-1]) % 2 else "node(s) were even"


def test_a_plugin_of_ones_own_takes_part() -> None:
    text = written(profiles=[{"plugins": {"multiPoint": {"enabled": [{"name": "OddNodes"}]}}}])
    config = read_config(text, {"OddNodes": OddNodes})
    (framework,) = frameworks(config, Cache()).values()
    assert framework.profile.filters[-1].name == "OddNodes"


WRONG = [
    ({"profile": []}, 'strict decoding error: unknown field "profile"'),
    ({"profiles": [{"name": "x"}]}, 'strict decoding error: unknown field "profiles[0].name"'),
    ({"parallelism": 0}, "parallelism: Invalid value: 0: should be an integer value greater than zero"),
    ({"percentageOfNodesToScore": 101}, "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"),
    ({"podInitialBackoffSeconds": 5, "podMaxBackoffSeconds": 1},
     "podMaxBackoffSeconds: Invalid value: 1: must be greater than or equal to PodInitialBackoffSeconds"),
    ({"profiles": [{}, {"schedulerName": "x"}]}, "profiles[0].schedulerName: Required value"),
    ({"profiles": [{"schedulerName": "x"}, {"schedulerName": "x"}]},
     'profiles[1].schedulerName: Duplicate value: "profiles[0].schedulerName"'),
    ({"profiles": [{"pluginConfig": [{"name": "InterPodAffinity", "args": {"hardPodAffinityWeight": 101}}]}]},
     "profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]"),
    ({"profiles": [{"plugins": {"filter": {"enabled": [{"name": "Nope"}]}}}]},
     "initializing profiles: creating profile for scheduler name default-scheduler: "
     'FilterPlugin "Nope" does not exist'),
    ({"profiles": [{"plugins": {"multiPoint": {"enabled": [{"name": "Nope"}]}}}]},
     "initializing profiles: creating profile for scheduler name default-scheduler: "
     'PreFilterPlugin "Nope" does not exist'),
    ({"profiles": [{"plugins": {"score": {"enabled": [{"name": "NodeName"}]}}}]},
     "initializing profiles: creating profile for scheduler name default-scheduler: "
     'plugin "NodeName" does not extend ScorePlugin plugin'),
    ({"profiles": [{"plugins": {"score": {"enabled": [{"name": "ImageLocality"}, {"name": "ImageLocality"}]}}}]},
     "initializing profiles: creating profile for scheduler name default-scheduler: "
     'plugin "ImageLocality" already registered as "ScorePlugin"'),
    ({"profiles": [{"plugins": {"queueSort": {"disabled": [{"name": "*"}]}}}]},
     "initializing profiles: creating profile for scheduler name default-scheduler: "
     'only one queue sort plugin required for profile with scheduler name "default-scheduler", but got 0'),
    ({"profiles": [{"plugins": {"bind": {"disabled": [{"name": "DefaultBinder"}]}}}]},
     "initializing profiles: creating profile for scheduler name default-scheduler: "
     'at least one bind plugin is needed for profile with scheduler name "default-scheduler"'),
    ({"profiles": [{"pluginConfig": [{"name": "NodeResourcesFit", "args": {"scoringStrategy": {"type": "Best"}}}]}]},
     "initializing profiles: creating profile for scheduler name default-scheduler: "
     'initializing plugin "NodeResourcesFit": scoringStrategy.type: Unsupported value: "Best": supported values: '
     '"LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"'),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_what_is_wrong_is_said_in_upstreams_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(**fields))
    assert str(caught.value) == message


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match='no kind "Pod" is registered for version "v1"'):
        read_config("apiVersion: v1\nkind: Pod\n")


def test_several_mistakes_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(parallelism=-1, percentageOfNodesToScore=-1))
    assert str(caught.value).startswith("[parallelism: ") and str(caught.value).endswith("[0-100]]")
