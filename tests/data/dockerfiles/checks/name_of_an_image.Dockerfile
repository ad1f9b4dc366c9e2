FROM scratch AS alpine
FROM alpine AS Alpine
