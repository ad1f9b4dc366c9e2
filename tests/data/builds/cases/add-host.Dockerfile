# flags: --add-host some.host=10.1.2.3
FROM alpine
RUN grep some.host /etc/hosts > /h
