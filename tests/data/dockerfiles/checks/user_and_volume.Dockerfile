FROM scratch
ARG u
USER ${u:-me}:${group}
VOLUME ["/$v", "/x"]
