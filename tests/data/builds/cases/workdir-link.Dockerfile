FROM alpine
RUN mkdir /real && ln -s /real /link
WORKDIR /link/sub
RUN pwd > p
