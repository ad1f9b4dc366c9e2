FROM alpine
COPY --link a.txt /linked/a
COPY --link --chown=1:2 dir /linked/dir
