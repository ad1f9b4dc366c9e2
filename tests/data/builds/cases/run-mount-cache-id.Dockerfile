FROM alpine
RUN --mount=type=cache,id=shared-cases,target=/c1,sharing=locked echo 1 > /c1/f
RUN --mount=type=cache,id=shared-cases,target=/c2,ro cat /c2/f > /got
