FROM scratch
RUN a && \

