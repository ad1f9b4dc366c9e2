FROM alpine
RUN mkdir /real && ln -s /real /ln && ln -s /real/file /fileln
COPY a.txt /ln/x
COPY b.txt /ln/
COPY a.txt /fileln
