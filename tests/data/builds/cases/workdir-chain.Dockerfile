FROM alpine
WORKDIR /a
WORKDIR b
WORKDIR ../c
RUN pwd > pwd
ENV D=/env
WORKDIR $D/x
RUN pwd > pwd
