# flags: --target mid
FROM alpine AS one
RUN echo one > /one
FROM alpine AS mid
COPY --from=one /one /one
FROM mid
RUN exit 1
