FROM --platform=linux/amd64 alpine
RUN echo p > /p
