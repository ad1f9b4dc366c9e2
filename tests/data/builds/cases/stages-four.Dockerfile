FROM alpine AS a
RUN echo a > /a
FROM alpine AS b
RUN echo b > /b
FROM alpine AS c
COPY --from=a /a /
COPY --from=b /b /
FROM scratch
COPY --from=c /a /b /out/
