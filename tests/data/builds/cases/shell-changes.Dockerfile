FROM alpine
SHELL ["/bin/sh", "-euxc"]
RUN echo 1 > /one
CMD echo hi
ENTRYPOINT echo there
