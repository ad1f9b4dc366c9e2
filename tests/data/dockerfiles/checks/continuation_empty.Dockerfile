FROM scratch
RUN a && \

  b
LABEL x=1 \


  y=2
