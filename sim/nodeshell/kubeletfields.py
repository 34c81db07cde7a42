"""The fields of KubeletConfiguration with the kind of value each takes: what strict decoding knows.

Source: k8s.io/kubelet/config/v1beta1 (types.go) of v1.37.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMES: Mapping[str, str] = {
    "bool": """
        cpuCFSQuota makeIPTablesUtilChains rotateCertificates serverTLSBootstrap failSwapOn failCgroupV1
        enableServer enableControllerAttachDetach enableContentionProfiling enableDebuggingHandlers
        enableDebugFlagsHandler enableProfilingHandler enableSystemLogHandler enableSystemLogQuery
        localStorageCapacityIsolation protectKernelDefaults registerNode seccompDefault serializeImagePulls
        singleProcessOOMKill mergeDefaultEvictionSettings
    """,
    "int": """
        containerLogMaxFiles containerLogMaxWorkers eventBurst
        eventRecordQPS evictionMaxPodGracePeriod healthzPort imageGCHighThresholdPercent imageGCLowThresholdPercent
        iptablesDropBit iptablesMasqueradeBit kubeAPIBurst kubeAPIQPS maxOpenFiles maxParallelImagePulls maxPods
        nodeLeaseDurationSeconds nodeStatusMaxImages oomScoreAdj podPidsLimit podsPerCore port readOnlyPort
        registryBurst registryPullQPS
    """,
    "duration": """
        containerLogMonitorInterval cpuCFSQuotaPeriod cpuManagerReconcilePeriod evictionPressureTransitionPeriod
        fileCheckFrequency httpCheckFrequency imageMaximumGCAge imageMinimumGCAge nodeStatusReportFrequency
        nodeStatusUpdateFrequency runtimeRequestTimeout shutdownGracePeriod shutdownGracePeriodCriticalPods
        streamingConnectionIdleTimeout syncFrequency volumeStatsAggPeriod
    """,
    "string": """
        address cgroupDriver cgroupRoot clusterDomain configMapAndSecretChangeDetectionStrategy containerLogMaxSize
        containerRuntimeEndpoint contentType cpuManagerPolicy hairpinMode healthzBindAddress imageServiceEndpoint
        imagePullCredentialsVerificationPolicy kernelMemcgNotification kubeReservedCgroup kubeletCgroups
        memoryManagerPolicy podCIDR podLogsDir providerID reservedSystemCPUs resolvConf staticPodPath staticPodURL
        systemCgroups systemReservedCgroup tlsCertFile tlsMinVersion tlsPrivateKeyFile topologyManagerPolicy
        topologyManagerScope volumePluginDir
    """,
    "list": """
        allowedUnsafeSysctls clusterDNS enforceNodeAllocatable preloadedImagesVerificationAllowlist registerWithTaints
        reservedMemory shutdownGracePeriodByPodPriority tlsCipherSuites tlsCurvePreferences
    """,
    "map": """
        authentication authorization cpuManagerPolicyOptions crashLoopBackOff evictionHard evictionMinimumReclaim
        evictionSoft evictionSoftGracePeriod featureGates kubeReserved logging memorySwap qosReserved
        staticPodURLHeader systemReserved topologyManagerPolicyOptions tracing userNamespaces
    """,
}
FIELDS: Mapping[str, str] = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""Field → int, bool, string, duration, list or map."""
