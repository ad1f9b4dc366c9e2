FROM alpine AS src
RUN mkdir /d && echo 1 > /d/a.so && echo 2 > /d/b.so
FROM scratch
COPY --from=src /d/*.so /lib/
