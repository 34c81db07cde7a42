// A manager of controller-runtime: its controller gives every ConfigMap with a label a Secret that it owns.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	label    = "seatrial.dev/with-secret"
	patience = 4 * time.Minute // on a machine that is several times slower than is usual
)

type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var config corev1.ConfigMap
	if err := r.Get(ctx, request.NamespacedName, &config); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if config.Labels[label] == "" {
		return ctrl.Result{}, nil
	}
	secret := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: config.Name, Namespace: config.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, &secret, func() error {
		secret.StringData = config.Data
		return controllerutil.SetControllerReference(&config, &secret, r.Scheme())
	})
	return ctrl.Result{}, err
}

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func secretHas(ctx context.Context, reader client.Reader, want string) {
	key := client.ObjectKey{Namespace: "default", Name: "managed"}
	for {
		var secret corev1.Secret
		err := reader.Get(ctx, key, &secret)
		if err == nil && string(secret.Data["value"]) == want {
			fmt.Println("secret:", want)
			return
		}
		if err != nil && !apierrors.IsNotFound(err) {
			must("secret", err)
		}
		select {
		case <-ctx.Done():
			must("secret "+want, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ctrl.SetLogger(zap.New())
	lease, deadline := time.Minute, 40*time.Second
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Metrics:                 server.Options{BindAddress: "0"},
		LeaderElection:          true,
		LeaderElectionID:        "managed.seatrial.dev",
		LeaderElectionNamespace: "default",
		LeaseDuration:           &lease,
		RenewDeadline:           &deadline,
	})
	must("manager", err)
	must("controller", ctrl.NewControllerManagedBy(manager).
		For(&corev1.ConfigMap{}).Owns(&corev1.Secret{}).Complete(&reconciler{manager.GetClient()}))
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()

	direct, err := client.New(manager.GetConfig(), client.Options{})
	must("client", err)
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "managed", Namespace: "default", Labels: map[string]string{label: "yes"}},
		Data:       map[string]string{"value": "one"},
	}
	must("create", direct.Create(ctx, config))
	secretHas(ctx, direct, "one")
	before := config.DeepCopy()
	config.Data["value"] = "two"
	must("patch", direct.Patch(ctx, config, client.MergeFrom(before)))
	secretHas(ctx, direct, "two")
	must("delete", direct.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "managed", Namespace: "default"}}))
	secretHas(ctx, direct, "two")
	cancel()
	must("end", <-ended)
}
