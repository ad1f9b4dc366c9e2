FROM scratch
ENV v=/abs
ARG v=rel
WORKDIR $v
WORKDIR rel
