FROM alpine AS seed
RUN mkdir /s && echo seeded > /s/f
FROM alpine
RUN --mount=type=cache,target=/c,from=seed,source=/s,id=cases-from cat /c/f > /got
