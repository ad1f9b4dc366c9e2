FROM alpine
COPY --chown=1000:1001 dir /d
COPY --chown=55 a.txt /new/dir/a
