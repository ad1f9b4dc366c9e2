FROM scratch
onbuild run x
ONBUILD RUN y
RUN z
