FROM alpine
COPY --parents ./dir/*/*.txt /p/
