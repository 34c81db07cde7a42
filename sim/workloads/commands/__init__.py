"""The programs that scripts in containers use, as busybox has them."""
