FROM alpine
RUN mkdir -p /a/b && ln -s ../../../../../../etc /a/b/esc
COPY a.txt /a/b/esc/x
