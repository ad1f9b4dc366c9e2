# escape=\
FROM alpine
RUN echo 1 > /1
