FROM alpine AS src
RUN mkdir /d && echo 1 > /d/f && chown -R 5:6 /d && chmod 700 /d && ln -s f /d/l && ln /d/f /d/h
FROM alpine
COPY --from=src /d /d
COPY --from=src /d/f /single
