"""What is elsewhere: projects in repositories and registries, what people are asked about them, digests of images."""
