"""What the stand-in kubelets of the recordings say of their machines."""

SYSTEM = {
    "kubeletVersion": "v1.37.0",
    "osImage": "Debian",
    "kernelVersion": "6.1",
    "containerRuntimeVersion": "containerd://2.1",
    "architecture": "amd64",
    "operatingSystem": "linux",
    "bootID": "b",
    "machineID": "m",
    "systemUUID": "s",
    "kubeProxyVersion": "",
}
