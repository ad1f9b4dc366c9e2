FROM alpine
COPY --exclude=**/*.txt . /d
