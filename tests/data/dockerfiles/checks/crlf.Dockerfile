FROM scratch AS Base
ENV a b
RUN x \

 y
WORKDIR rel
