FROM alpine
RUN mkdir -m 700 /made && chown 3:4 /made
WORKDIR /made
