FROM alpine
ENTRYPOINT ["/e"]
