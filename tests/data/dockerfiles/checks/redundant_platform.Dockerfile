FROM --platform=$TARGETPLATFORM scratch AS a
FROM --platform=${TARGETPLATFORM} scratch AS b
FROM --platform=$BUILDPLATFORM scratch AS c
FROM --platform=${TARGETPLATFORM:-x} scratch AS d
