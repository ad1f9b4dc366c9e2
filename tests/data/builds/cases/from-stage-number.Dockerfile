FROM alpine
RUN echo 1 > /one
FROM alpine
COPY --from=0 /one /copied
