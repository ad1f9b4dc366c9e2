FROM alpine
RUN echo end > /e