FROM alpine
CMD ["kept"]
ENTRYPOINT ["/e"]
