FROM alpine
CMD ["echo", "a b", "c\"d", "\u00e9"]
