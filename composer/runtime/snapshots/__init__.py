"""Snapshots of volumes and of containers' layers: copied, kept, and put back."""
