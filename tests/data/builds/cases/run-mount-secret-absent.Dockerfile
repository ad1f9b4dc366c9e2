FROM alpine
RUN --mount=type=secret,id=nope test ! -e /run/secrets/nope && echo none > /got
