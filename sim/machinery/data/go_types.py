"""What OpenAPI does not say of the Go types behind it: which scalars are pointers, which fields lack ``omitempty``.

Source: the struct definitions of k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver and
k8s.io/kube-aggregator v0.37 (``types.go``). A pointer keeps an explicit zero on the wire (``replicas: 0``), a plain
``omitempty`` scalar loses it. ``compile`` reads these tables; nothing else does.
"""

from __future__ import annotations

_POINTERS = """
admissionregistration.v1.MatchResources matchPolicy
admissionregistration.v1.MutatingAdmissionPolicySpec failurePolicy
admissionregistration.v1.MutatingWebhook failurePolicy matchPolicy reinvocationPolicy sideEffects timeoutSeconds
admissionregistration.v1.NamedRuleWithOperations scope
admissionregistration.v1.ParamRef parameterNotFoundAction
admissionregistration.v1.RuleWithOperations scope
admissionregistration.v1.ServiceReference path port
admissionregistration.v1.ValidatingAdmissionPolicySpec failurePolicy
admissionregistration.v1.ValidatingWebhook failurePolicy matchPolicy sideEffects timeoutSeconds
admissionregistration.v1.Validation reason
admissionregistration.v1.WebhookClientConfig url
apps.v1.DaemonSetSpec revisionHistoryLimit
apps.v1.DaemonSetStatus collisionCount
apps.v1.DeploymentSpec progressDeadlineSeconds replicas revisionHistoryLimit
apps.v1.DeploymentStatus collisionCount terminatingReplicas
apps.v1.ReplicaSetSpec replicas
apps.v1.ReplicaSetStatus terminatingReplicas
apps.v1.RollingUpdateStatefulSetStrategy partition
apps.v1.StatefulSetSpec replicas revisionHistoryLimit
apps.v1.StatefulSetStatus collisionCount
authentication.v1.TokenRequestSpec expirationSeconds
autoscaling.v1.HorizontalPodAutoscalerSpec minReplicas targetCPUUtilizationPercentage
autoscaling.v1.HorizontalPodAutoscalerStatus currentCPUUtilizationPercentage observedGeneration
autoscaling.v2.HPAScalingRules selectPolicy stabilizationWindowSeconds
autoscaling.v2.HorizontalPodAutoscalerSpec minReplicas
autoscaling.v2.HorizontalPodAutoscalerStatus observedGeneration
autoscaling.v2.MetricTarget averageUtilization
autoscaling.v2.MetricValueStatus averageUtilization
batch.v1.CronJobSpec failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit suspend timeZone
batch.v1.JobSpec activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions managedBy
batch.v1.JobSpec manualSelector maxFailedIndexes parallelism podReplacementPolicy suspend ttlSecondsAfterFinished
batch.v1.JobStatus failedIndexes ready terminating
batch.v1.PodFailurePolicyOnExitCodesRequirement containerName
batch.v1.SuccessPolicyRule succeededCount succeededIndexes
certificates.v1.CertificateSigningRequestSpec expirationSeconds
certificates.v1.PodCertificateRequestSpec maxExpirationSeconds
coordination.v1.LeaseSpec holderIdentity leaseDurationSeconds leaseTransitions preferredHolder strategy
core.v1.AppArmorProfile localhostProfile
core.v1.AzureDiskVolumeSource cachingMode fsType kind readOnly
core.v1.AzureFilePersistentVolumeSource secretNamespace
core.v1.CSIVolumeSource fsType readOnly
core.v1.ClientIPConfig timeoutSeconds
core.v1.ClusterTrustBundleProjection name optional signerName user
core.v1.ConfigMap immutable
core.v1.ConfigMapEnvSource optional
core.v1.ConfigMapKeySelector optional
core.v1.ConfigMapProjection optional
core.v1.ConfigMapVolumeSource defaultMode defaultUser optional
core.v1.Container restartPolicy
core.v1.ContainerStatus started stopSignal
core.v1.DownwardAPIVolumeFile mode user
core.v1.DownwardAPIVolumeSource defaultMode defaultUser
core.v1.EmptyDirVolumeSource mode
core.v1.EndpointAddress nodeName
core.v1.EndpointPort appProtocol
core.v1.EphemeralContainer restartPolicy
core.v1.EvictionResponder priority
core.v1.FCVolumeSource lun
core.v1.FileKeySelector optional
core.v1.GRPCAction mode service
core.v1.GlusterfsPersistentVolumeSource endpointsNamespace
core.v1.HTTPGetAction protocol
core.v1.HostPathVolumeSource type
core.v1.ISCSIPersistentVolumeSource initiatorName
core.v1.ISCSIVolumeSource initiatorName
core.v1.KeyToPath mode user
core.v1.Lifecycle stopSignal
core.v1.LoadBalancerIngress ipMode
core.v1.LocalVolumeSource fsType
core.v1.NodeFeatures supplementalGroupsPolicy
core.v1.NodeRuntimeHandlerFeatures recursiveReadOnlyMounts userNamespaces
core.v1.NodeSwapStatus capacity
core.v1.NodeSystemInfo runningInUserNamespace
core.v1.PersistentVolumeClaimSpec storageClassName volumeAttributesClassName volumeMode
core.v1.PersistentVolumeClaimStatus currentVolumeAttributesClassName
core.v1.PersistentVolumeSpec volumeAttributesClassName volumeMode
core.v1.PodCertificateProjection maxExpirationSeconds user
core.v1.PodDNSConfigOption value
core.v1.PodResourceClaim resourceClaimName resourceClaimTemplateName
core.v1.PodResourceClaimStatus resourceClaimName
core.v1.PodSchedulingGroup podGroupName
core.v1.PodSecurityContext fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser
core.v1.PodSecurityContext seLinuxChangePolicy supplementalGroupsPolicy
core.v1.PodSpec activeDeadlineSeconds automountServiceAccountToken enableServiceLinks hostUsers hostnameOverride
core.v1.PodSpec preemptionPolicy priority runtimeClassName setHostnameAsFQDN shareProcessNamespace
core.v1.PodSpec terminationGracePeriodSeconds
core.v1.PortStatus error
core.v1.Probe terminationGracePeriodSeconds
core.v1.ProjectedVolumeSource defaultMode defaultUser
core.v1.ReplicationControllerSpec replicas
core.v1.SeccompProfile localhostProfile
core.v1.Secret immutable
core.v1.SecretEnvSource optional
core.v1.SecretKeySelector optional
core.v1.SecretProjection optional
core.v1.SecretVolumeSource defaultMode defaultUser optional
core.v1.SecurityContext allowPrivilegeEscalation privileged procMount readOnlyRootFilesystem runAsGroup
core.v1.SecurityContext runAsNonRoot runAsUser
core.v1.ServiceAccount automountServiceAccountToken
core.v1.ServiceAccountTokenProjection expirationSeconds user
core.v1.ServicePort appProtocol
core.v1.ServiceSpec allocateLoadBalancerNodePorts internalTrafficPolicy ipFamilyPolicy loadBalancerClass
core.v1.ServiceSpec trafficDistribution
core.v1.Toleration tolerationSeconds
core.v1.TopologySpreadConstraint minDomains nodeAffinityPolicy nodeTaintsPolicy
core.v1.TypedLocalObjectReference apiGroup
core.v1.TypedObjectReference apiGroup namespace
core.v1.VolumeMount mountPropagation recursiveReadOnly
core.v1.VolumeMountStatus recursiveReadOnly
core.v1.WindowsSecurityContextOptions gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName
discovery.v1.Endpoint hostname nodeName zone
discovery.v1.EndpointConditions ready serving terminating
discovery.v1.EndpointPort appProtocol name port protocol
flowcontrol.v1.ExemptPriorityLevelConfiguration lendablePercent nominalConcurrencyShares
flowcontrol.v1.LimitedPriorityLevelConfiguration borrowingLimitPercent lendablePercent nominalConcurrencyShares
networking.v1.HTTPIngressPath pathType
networking.v1.IngressClassParametersReference apiGroup namespace scope
networking.v1.IngressPortStatus error
networking.v1.IngressSpec ingressClassName
networking.v1.NetworkPolicyPort endPort protocol
policy.v1.PodDisruptionBudgetSpec unhealthyPodEvictionPolicy
resource.v1.AllocatedDeviceStatus shareID
resource.v1.Device allNodes allowMultipleAllocations bindsToNode nodeName
resource.v1.DeviceAttribute bool int string version
resource.v1.DeviceClassSpec extendedResourceName
resource.v1.DeviceConstraint distinctAttribute matchAttribute
resource.v1.DeviceRequestAllocationResult adminAccess shareID
resource.v1.DeviceTaintSelector device driver pool
resource.v1.DeviceToleration tolerationSeconds
resource.v1.ExactDeviceRequest adminAccess
resource.v1.NodeAllocatableMapping capacityKey
resource.v1.ResourceSliceSpec allNodes nodeName partitionTypeAttribute perDeviceNodeSelection
scheduling.v1.PriorityClass preemptionPolicy
scheduling.v1alpha3.WorkloadPodGroupResourceClaim resourceClaimName resourceClaimTemplateName
storage.v1.CSIDriverSpec attachRequired fsGroupPolicy nodeAllocatableUpdatePeriodSeconds podInfoOnMount
storage.v1.CSIDriverSpec preventPodSchedulingIfMissing requiresRepublish seLinuxMount serviceAccountTokenInSecrets
storage.v1.CSIDriverSpec storageCapacity
storage.v1.StorageClass allowVolumeExpansion reclaimPolicy volumeBindingMode
storage.v1.TokenRequest expirationSeconds
storage.v1.VolumeAttachmentSource persistentVolumeName
storage.v1.VolumeError errorCode
storage.v1.VolumeNodeResources count
apiextensions.v1.CustomResourceDefinitionVersion deprecationWarning
apiextensions.v1.CustomResourceSubresourceScale labelSelectorPath
apiextensions.v1.JSONSchemaProps maxItems maxLength maxProperties maximum minItems minLength minProperties minimum
apiextensions.v1.JSONSchemaProps $ref multipleOf x-kubernetes-list-type x-kubernetes-map-type
apiextensions.v1.JSONSchemaProps x-kubernetes-preserve-unknown-fields
apiextensions.v1.ServiceReference path port
apiextensions.v1.ValidationRule optionalOldSelf reason
apiextensions.v1.WebhookClientConfig url
meta.v1.DeleteOptions gracePeriodSeconds ignoreStoreReadErrorWithClusterBreakingPotential orphanDependents
meta.v1.DeleteOptions propagationPolicy
meta.v1.ListMeta remainingItemCount
meta.v1.ObjectMeta deletionGracePeriodSeconds
meta.v1.OwnerReference blockOwnerDeletion controller
meta.v1.Preconditions resourceVersion uid
apiregistration.v1.ServiceReference port
"""

_PRESENT = """
rbac.v1.ClusterRole rules
rbac.v1.Role rules
autoscaling.v2.HPAScalingRules policies
autoscaling.v2.HorizontalPodAutoscalerStatus currentMetrics
discovery.v1.EndpointSlice endpoints ports
apiextensions.v1.CustomResourceDefinitionStatus conditions storedVersions
apps.v1.DaemonSetCondition lastTransitionTime
apps.v1.DeploymentCondition lastTransitionTime lastUpdateTime
apps.v1.ReplicaSetCondition lastTransitionTime
apps.v1.StatefulSetCondition lastTransitionTime
authentication.v1.TokenRequestStatus expirationTimestamp
autoscaling.v2.HorizontalPodAutoscalerCondition lastTransitionTime
batch.v1.JobCondition lastProbeTime lastTransitionTime
certificates.v1.CertificateSigningRequestCondition lastTransitionTime lastUpdateTime
core.v1.ContainerStateRunning startedAt
core.v1.ContainerStateTerminated finishedAt startedAt
core.v1.Event eventTime firstTimestamp lastTimestamp
core.v1.EventSeries lastObservedTime
core.v1.NamespaceCondition lastTransitionTime
core.v1.NodeCondition lastHeartbeatTime lastTransitionTime
core.v1.PersistentVolumeClaimCondition lastProbeTime lastTransitionTime
core.v1.PodCondition lastProbeTime lastTransitionTime
core.v1.ReplicationControllerCondition lastTransitionTime
core.v1.ResourceFieldSelector divisor
core.v1.ProjectedVolumeSource sources
core.v1.ServicePort targetPort
core.v1.TypedLocalObjectReference apiGroup
core.v1.TypedObjectReference apiGroup
events.v1.Event deprecatedFirstTimestamp deprecatedLastTimestamp
flowcontrol.v1.FlowSchemaCondition lastTransitionTime
flowcontrol.v1.PriorityLevelConfigurationCondition lastTransitionTime
storage.v1.VolumeError time
apiextensions.v1.CustomResourceDefinitionCondition lastTransitionTime
apiregistration.v1.APIServiceCondition lastTransitionTime
"""

_OMITTED = """
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec validationActions
core.v1.ConfigMapEnvSource name
core.v1.ConfigMapKeySelector name
core.v1.ConfigMapProjection name
core.v1.ConfigMapVolumeSource name
core.v1.LocalObjectReference name
core.v1.ReplicationControllerSpec minReadySeconds
core.v1.SecretEnvSource name
core.v1.SecretKeySelector name
core.v1.SecretProjection name
"""

_DISABLED = """
core.v1.ClusterTrustBundleProjection user
core.v1.ConfigMapVolumeSource defaultUser
core.v1.DownwardAPIVolumeFile user
core.v1.DownwardAPIVolumeSource defaultUser
core.v1.EmptyDirVolumeSource mode
core.v1.HTTPGetAction protocol
core.v1.KeyToPath user
core.v1.Lifecycle stopSignal
core.v1.NodeSpec configSource podPreemptionPolicy
core.v1.PodCertificateProjection user
core.v1.ProjectedVolumeSource defaultUser
core.v1.SecretVolumeSource defaultUser
core.v1.ServiceAccountTokenProjection user
core.v1.VolumeMount bindMountOptions
"""


def _table(text: str) -> dict[str, frozenset[str]]:
    rows: dict[str, frozenset[str]] = {}
    for line in text.split("\n"):
        name, _, fields = line.partition(" ")
        rows[name] = rows.get(name, frozenset()) | frozenset(fields.split())
    return rows


POINTERS = _table(_POINTERS)
"""Scalars that are pointers, by group.version.Type."""
PRESENT = _table(_PRESENT)
"""Optional fields without ``omitempty``, and times by value, which know no empty: on the wire even when empty.

A scaling rule's policies are here because their default tells an empty list from none."""
OMITTED = _table(_OMITTED)
"""Fields with ``omitempty`` whose schema names their zero as the default, or requires them."""
DISABLED = _table(_DISABLED)
"""Fields of feature gates that are off, and of what is no longer supported: read, but never stored."""


def short(name: str) -> str:
    """``core.v1.Pod`` for ``io.k8s.api.core.v1.Pod``: the last three parts of an OpenAPI definition's name."""
    return ".".join(name.rsplit(".", 3)[-3:])
