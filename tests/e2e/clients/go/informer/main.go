// An informer of client-go that speaks protobuf: it changes a Deployment, a ConfigMap and a Lease and waits until its
// caches have seen each change; a leader election runs beside it.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	namespace = "default"
	patience  = 4 * time.Minute // on a machine that is several times slower than is usual
)

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func until(ctx context.Context, what string, holds func() bool) {
	must(what, wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true,
		func(context.Context) (bool, error) { return holds(), nil }))
	fmt.Println(what)
}

func deployment() *appsv1.Deployment {
	replicas, set := int32(1), map[string]string{"app": "go"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "from-go"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: set},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: set},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nginx"}}},
			},
		},
	}
}

func lead(ctx context.Context, client kubernetes.Interface, led chan<- struct{}) {
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Name: "from-go", Namespace: namespace},
		Client:     client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: "me"},
	}
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: time.Minute, RenewDeadline: 40 * time.Second, RetryPeriod: time.Second,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(led) },
			OnStoppedLeading: func() {},
		},
	})
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must("kubeconfig", err)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	must("client", err)

	factory := informers.NewSharedInformerFactory(client, 0)
	deployments, maps := factory.Apps().V1().Deployments().Lister(), factory.Core().V1().ConfigMaps().Lister()
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			must("sync", fmt.Errorf("%v", kind))
		}
	}
	led := make(chan struct{})
	go lead(ctx, client, led)

	apps := client.AppsV1().Deployments(namespace)
	made, err := apps.Create(ctx, deployment(), metav1.CreateOptions{})
	must("create", err)
	until(ctx, "created", func() bool { _, err := deployments.Deployments(namespace).Get("from-go"); return err == nil })
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"nginx:1.27"}]}}}}`)
	_, err = apps.Patch(ctx, "from-go", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	must("patch", err)
	until(ctx, "patched", func() bool {
		seen, err := deployments.Deployments(namespace).Get("from-go")
		return err == nil && seen.Spec.Template.Spec.Containers[0].Image == "nginx:1.27"
	})
	made.Spec.Paused = true
	if _, err = apps.Update(ctx, made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		must("stale update", fmt.Errorf("not refused: %v", err))
	}
	scale, err := apps.GetScale(ctx, "from-go", metav1.GetOptions{})
	must("scale", err)
	scale.Spec.Replicas = 0
	scale.ResourceVersion = "" // whatever the controller writes meanwhile
	_, err = apps.UpdateScale(ctx, "from-go", scale, metav1.UpdateOptions{})
	must("scale", err)
	config1 := applycorev1.ConfigMap("from-go", namespace).WithData(map[string]string{"a": "b"})
	_, err = client.CoreV1().ConfigMaps(namespace).Apply(ctx, config1, metav1.ApplyOptions{FieldManager: "go"})
	must("apply", err)
	until(ctx, "applied", func() bool {
		seen, err := maps.ConfigMaps(namespace).Get("from-go")
		return err == nil && seen.Data["a"] == "b"
	})
	must("delete", apps.Delete(ctx, "from-go", metav1.DeleteOptions{}))
	until(ctx, "deleted", func() bool {
		_, err := deployments.Deployments(namespace).Get("from-go")
		return apierrors.IsNotFound(err)
	})
	select {
	case <-led:
		fmt.Println("led")
	case <-ctx.Done():
		must("lead", ctx.Err())
	}
}
