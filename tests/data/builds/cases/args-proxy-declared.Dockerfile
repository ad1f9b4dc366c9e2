# flags: --build-arg HTTP_PROXY=http://proxy.example:3128
FROM alpine
ARG HTTP_PROXY
RUN echo $HTTP_PROXY > /p
