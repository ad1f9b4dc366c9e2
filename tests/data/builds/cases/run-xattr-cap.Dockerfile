FROM alpine
RUN echo x > /x
