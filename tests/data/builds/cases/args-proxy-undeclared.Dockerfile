# flags: --build-arg HTTP_PROXY=http://proxy.example:3128 --build-arg no_proxy=localhost
FROM alpine
RUN echo $HTTP_PROXY $no_proxy > /p
