FROM alpine AS one
RUN echo 1 > /f
FROM alpine
COPY --from=one /f /f
