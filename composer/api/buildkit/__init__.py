"""BuildKit's protocol: gRPC over connections that were HTTP, both ways, for builds with the docker command."""
