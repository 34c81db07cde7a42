"""What containers do: images and their behaviour, a file system, processes, and the shell that scripts run in."""
