FROM alpine
RUN mkdir -p /etc && echo 'app:x:1000:1001::/:/bin/sh' > /etc/passwd && echo 'grp:x:2000:' > /etc/group
COPY --chown=app a.txt /a
COPY --chown=app:grp b.txt /b
COPY --chown=0:grp b.txt /c
