"""The commands of kubeadm."""
