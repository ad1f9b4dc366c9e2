ARG TAG
ARG IMG
FROM ${IMG:-scratch} AS a
FROM scratch${TAG} AS b
