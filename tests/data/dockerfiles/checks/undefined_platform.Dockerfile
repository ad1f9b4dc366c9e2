ARG X
FROM --platform=${TARGETPLATFOR:-linux/amd64} scratch AS a
FROM --platform=linux/amd64${X} scratch AS b
