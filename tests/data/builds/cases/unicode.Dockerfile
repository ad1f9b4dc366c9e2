FROM alpine
ENV GRÜSSE=hallo
LABEL größe="ü ß 漢字"
RUN echo "漢字" > /漢字
